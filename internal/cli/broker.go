package cli

import (
	"example.com/payment/internal/config"
	"example.com/payment/internal/rocketmq"
)

// Producer turns settings into those of a sender that the broker knows under this group. The
// instance is made up when it is empty.
func Producer(b config.Broker, s config.Sending, group, instance string) rocketmq.ProducerConfig {
	retries := s.SendAttempts - 1
	if retries < 1 {
		retries = -1 // none: zero would be the default
	}
	return rocketmq.ProducerConfig{
		NameServers: b.NameServers,
		AccessKey:   b.AccessKey, SecretKey: b.SecretKey.Reveal(),
		Group: group, Instance: instance,
		SendTimeout: s.SendTimeout, Retries: retries,
	}
}
