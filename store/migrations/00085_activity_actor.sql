-- What a person or a program did is found by activity_anywhere, in one organization too: an
-- id is one actor's alone, and mostly acts in one organization. Each row is written once less.
DROP INDEX activity_actor;
