-- Tokens that stand for a user: kinds `iam`, `access` and `refresh`. Their `scopes` are empty, since what they
-- allow is the user's role at the moment of use.

-- Number of the first refresh token of a session. The tokens of every refresh after it carry it too, so that
-- a session ends as a whole.
ALTER TABLE tokens ADD COLUMN family INTEGER;

-- When a refresh token was exchanged. Its row stays until it expires: that is how a second use is recognised.
ALTER TABLE tokens ADD COLUMN used_at_ms INTEGER;

CREATE INDEX tokens_by_family ON tokens (family) WHERE family IS NOT NULL;
CREATE INDEX tokens_by_expiry ON tokens (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
