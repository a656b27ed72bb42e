"""The loop: select -> annotate -> train -> evaluate, in rounds, in one workspace, resumable at any point.

`rounds` holds the verbs on one workspace; `simulate` runs a whole campaign on labelled data over arms and seeds;
`settings` is the configuration file of both.
"""
