-- Where payment-consumer archive moves what is old: entries, and messages in quarantine that somebody
-- has seen to. A payment itself never leaves its table: its serial and its order stay taken for ever.
-- The tables have the keys of those that they take from, and the audit counts both.

CREATE TABLE ledger_entries_archive (
  serial_no    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount_minor BIGINT      NOT NULL,
  created_at   DATETIME(6) NOT NULL,
  PRIMARY KEY (serial_no, account_id),
  KEY ix_ledger_entries_archive_account (account_id),
  CONSTRAINT ck_ledger_entries_archive_amount CHECK (amount_minor <> 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- By its ID and not by its content: the same content may be archived more than once.
CREATE TABLE quarantine_archive (
  id            BIGINT         NOT NULL,
  topic         VARBINARY(255) NOT NULL,
  content_hash  BINARY(32)     NOT NULL,
  kind          VARCHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason        VARBINARY(64)  NOT NULL,
  detail        VARBINARY(512) NOT NULL,
  serial_no     VARBINARY(64)  NOT NULL,
  message_key   VARBINARY(255) NOT NULL,
  message_id    VARBINARY(128) NOT NULL,
  broker        VARBINARY(255) NOT NULL,
  queue_id      INT            NOT NULL,
  queue_offset  BIGINT         NOT NULL,
  attempt       INT            NOT NULL,
  body          MEDIUMBLOB     NOT NULL,
  body_bytes    BIGINT         NOT NULL,
  deliveries    BIGINT         NOT NULL,
  state         VARCHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  first_seen_at DATETIME(6)    NOT NULL,
  last_seen_at  DATETIME(6)    NOT NULL,
  resolved_at   DATETIME(6)    NULL,
  PRIMARY KEY (id),
  KEY ix_quarantine_archive_serial (serial_no),
  CONSTRAINT ck_quarantine_archive_state CHECK (state IN ('replayed', 'discarded'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
