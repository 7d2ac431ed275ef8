-- What a person or a program did. What directories and sign-ins do, most of the table, is
-- left out: it costs their writes nothing, and nobody asks for it by actor.
CREATE INDEX activity_actor ON activity (org_id, actor_id, id) WHERE actor_kind IN ('person', 'key');
