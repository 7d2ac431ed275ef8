-- SQLite keeps the results of jobs in the order of their key, and no index beside them.
{{results_by_key}}
