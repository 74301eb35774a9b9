"""
`groupqueue demo`: a job on real files in real processes, while the leader is killed again and again.

`files` says which files, and hashes them in one process; `roles` are the processes that hash them through the group;
`conductor` starts, kills and replaces those; `tally` compares.
"""
