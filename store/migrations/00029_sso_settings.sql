-- purpose: login, test, link or stepup. asked: what the request demanded and its answer
-- must show (a fresh sign-in, a way of signing in), as it was when it was sent.
ALTER TABLE sso_requests ADD COLUMN purpose TEXT NOT NULL DEFAULT 'login';
ALTER TABLE sso_requests ADD COLUMN asked {{json}} NOT NULL DEFAULT '{}';
