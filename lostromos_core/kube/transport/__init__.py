"""Send requests to the API server.

A request is built from a path (``paths``), a body (``encoding``) and a media type (``media_types``), waits for the
``limiter``, and is sent by the ``client``. The response is decoded as far as possible (``unreadable``) or becomes
an ApiError (``api_errors``). ``operations`` contains requests that several packages send. ``list_limiter`` limits how
many watches list at the same time, and ``background`` keeps tasks running.
"""
