package main

import (
	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/redis"
)

// answers is the cache of what was decided.
type answers = redis.Cache[payment.Answer]

func openCache(
	cfg config.Consumer, db *mysql.DB, hooks redis.Hooks, log *zap.Logger,
) (*answers, error) {
	keys, err := redis.ParseKeyring(cfg.Cache.Keys.Reveal())
	if err != nil {
		return nil, cli.Usage(err)
	}
	encrypted, err := cli.TLS(cfg.Redis.TLS, "redis")
	if err != nil {
		return nil, err
	}
	return redis.New[payment.Answer](redis.Config{
		Address: cfg.Redis.Address, User: cfg.Redis.User, Password: cfg.Redis.Password.Reveal(),
		TLS: encrypted, DB: cfg.Redis.DB,
		KeyPrefix: cfg.Redis.KeyPrefix, Timeout: cfg.Redis.Timeout, Keys: keys,
		Expiry: cfg.Cache.Expiry, ExpiryJitter: cfg.Cache.ExpiryJitter, Hooks: hooks,
	}, db.Epoch, log)
}
