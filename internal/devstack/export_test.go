package devstack

import "context"

// Redis sends one command to the cache and returns the first line of the answer.
func (s *Stack) Redis(ctx context.Context, words ...string) (string, error) {
	conn, lines, err := dialRedis(ctx, s.Address(Redis), s.redisPassword())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	return resp(conn, lines, words...)
}
