"""Read lostromos.yaml and other YAML files that people write.

``config`` has the models of lostromos.yaml, ``yamlfile`` reads a file and records the line of each field, and
``scalars`` resolves YAML scalars. ``explanations`` turns pydantic's errors into messages for people.
"""
