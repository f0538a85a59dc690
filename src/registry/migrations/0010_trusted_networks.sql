-- The networks that a tenant judges: where activities come from that it trusts, and exceptions within them.

CREATE TABLE trusted_networks (
    tenant_id    INTEGER NOT NULL,
    incarnation  INTEGER NOT NULL,
    -- In its one spelling: 203.0.113.0/24, 2001:db8:7::/48, AS64500.
    network      TEXT    NOT NULL,
    trusted      INTEGER NOT NULL CHECK (trusted IN (0, 1)),
    -- Who judges, and why.
    entity       TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, incarnation, network),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT, WITHOUT ROWID;
