package devstack

import "runtime"

// remedy is the line that gets a missing program, by the system's usual package manager.
func remedy(debian, mac string) string {
	if runtime.GOOS == "darwin" {
		return "brew install " + mac
	}
	return "apt-get install " + debian + " (or your system's package)"
}

func remedyJava() string  { return remedy("openjdk-17-jdk-headless or newer", "openjdk") }
func remedyMaven() string { return remedy("maven", "maven") }
func remedyRedis() string { return remedy("redis-server", "redis") }

func remedyMySQL() string {
	return remedy("mariadb-server", "mariadb") +
		", or set PAYMENT_LAB_MYSQL=USER:PASSWORD@HOST:PORT to use one that runs"
}

func remedyLoopback(host string) string { return "sudo ifconfig lo0 alias " + host + " up" }
