-- A change that names no column of the roster fires no trigger. PostgreSQL reads a WHEN
-- anew in each statement that updates users: 8 of the 80 us of one.
{{roster_by_column}}
