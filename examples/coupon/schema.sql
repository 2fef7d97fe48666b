-- What the coupon example keeps. The names are ascii_bin: under a case-insensitive collation REQ_1
-- and req_1 would be one request.

CREATE TABLE coupon_campaigns (
  campaign VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  total    INT NOT NULL,
  issued   INT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign),
  -- No more than there are, whatever the program thinks it has checked.
  CONSTRAINT ck_coupon_campaigns_issued CHECK (issued BETWEEN 0 AND total)
) ENGINE = InnoDB;

-- The work: one row per coupon that was issued.
CREATE TABLE coupons (
  campaign   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  number     INT NOT NULL,
  user_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (campaign, number),
  -- One per user and campaign, under whatever request.
  CONSTRAINT uq_coupons_user UNIQUE (campaign, user_id),
  KEY ix_coupons_request (request_id)
) ENGINE = InnoDB;

-- The tokens: one row per decided request, inserted in the transaction that issues the coupon and
-- never changed. In production give the consumer's user INSERT and SELECT here and no UPDATE, as
-- migrations/grants.sql does for payments.
CREATE TABLE coupon_requests (
  request_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  campaign      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  coupon        VARCHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  refused       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  first_request VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  fingerprint         BINARY(32)  NOT NULL,
  fingerprint_version SMALLINT    NOT NULL,
  decided_at          DATETIME(6) NOT NULL,
  -- This key is what makes a request happen once.
  PRIMARY KEY (request_id),
  CONSTRAINT ck_coupon_requests_answer CHECK ((coupon = '') <> (refused = ''))
) ENGINE = InnoDB;

-- One row with two things in it. The epoch is part of every cached answer: replace it after a
-- restore, and they all become misses. Passed counts read barriers (Store.Find).
CREATE TABLE coupon_state (
  id     TINYINT     NOT NULL,
  epoch  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  passed BIGINT      NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  CONSTRAINT ck_coupon_state_single CHECK (id = 1)
) ENGINE = InnoDB;

INSERT INTO coupon_state (id, epoch) VALUES (1, REPLACE(UUID(), '-', ''));
