-- Messages that could not become a payment, kept for a person to look at. No content may make
-- this insert fail, or the message would come back for ever: what senders control is binary and
-- is cut to the width of its column by the program, which keeps the length and the digest of the whole.
CREATE TABLE quarantine (
  id            BIGINT         NOT NULL AUTO_INCREMENT,
  topic         VARBINARY(255) NOT NULL,
  -- SHA-256 over the key and the body: the same content is kept once, however often it comes.
  content_hash  BINARY(32)     NOT NULL,
  kind          VARCHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason        VARBINARY(64)  NOT NULL,
  detail        VARBINARY(512) NOT NULL,
  -- Known for what could be decoded; empty otherwise.
  serial_no     VARBINARY(64)  NOT NULL,
  message_key   VARBINARY(255) NOT NULL,
  message_id    VARBINARY(128) NOT NULL,
  broker        VARBINARY(255) NOT NULL,
  queue_id      INT            NOT NULL,
  queue_offset  BIGINT         NOT NULL,
  attempt       INT            NOT NULL,
  body          MEDIUMBLOB     NOT NULL,
  body_bytes    BIGINT         NOT NULL,
  deliveries    BIGINT         NOT NULL DEFAULT 1,
  state         VARCHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  first_seen_at DATETIME(6)    NOT NULL,
  last_seen_at  DATETIME(6)    NOT NULL,
  resolved_at   DATETIME(6)    NULL,
  PRIMARY KEY (id),
  CONSTRAINT uq_quarantine_content UNIQUE (topic, content_hash),
  KEY ix_quarantine_state (state, id),
  KEY ix_quarantine_serial (serial_no),
  CONSTRAINT ck_quarantine_kind  CHECK (kind IN ('conflict', 'rejected', 'undecided')),
  CONSTRAINT ck_quarantine_state CHECK (state IN ('open', 'replayed', 'discarded'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
