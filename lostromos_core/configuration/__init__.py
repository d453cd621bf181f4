"""Read lostromos.yaml and other YAML files that people write.

``config`` has the models of lostromos.yaml, ``yamlfile`` reads a file and remembers the line of each field, and
``scalars`` decides what a YAML scalar means. ``explanations`` puts what pydantic finds wrong into our words.
"""
