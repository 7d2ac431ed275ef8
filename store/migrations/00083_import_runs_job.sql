-- Nobody looks an import up by its job; package importer owns the table.
DROP INDEX import_runs_job;
