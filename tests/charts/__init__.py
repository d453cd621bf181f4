"""Any charts, made by Helm by hand and by Lostrómos: whether the same comes of it."""
