package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"example.com/payment/internal/remoting"
)

// readyTopic is where a broker's first message goes: it proves that the broker stores and
// flushes, and no consumer of ours ever reads it.
const readyTopic = "PAYMENT_LAB_READY"

// javaFlags open the parts of the JDK that RocketMQ reaches into, as its own start scripts do.
func javaFlags() []string {
	return []string{
		"--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
		"--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
		"--add-opens=java.base/java.nio=ALL-UNNAMED",
		"--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
		"-XX:-UsePerfData", // no files in /tmp
	}
}

// javaPath finds java where Maven would: JAVA_HOME first.
func javaPath() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if path, err := exec.LookPath(filepath.Join(home, "bin", "java")); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("java is not on the PATH, and RocketMQ runs on it: %s", remedyJava())
	}
	return path, nil
}

// java is the program of one of RocketMQ's servers.
func (s *Stack) java(class, name string, heap []string) (program, error) {
	java, err := javaPath()
	if err != nil {
		return program{}, err
	}
	home := filepath.Join(s.dir("rocketmq"), name+"-home")
	args := append(heap, javaFlags()...)
	args = append(args, "-Duser.home="+home, "-cp", filepath.Join(s.files.lib(), "*"), class,
		"-c", filepath.Join(s.dir("rocketmq"), name+".conf"))
	return program{
		path: java,
		args: args,
		// The locale is how Java reads the names of folders that are not plain ASCII.
		env: []string{"ROCKETMQ_HOME=" + home, "LC_ALL=C.UTF-8"},
		// What a user has set for their own programs would change heaps and addresses.
		without: []string{"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "NAMESRV_ADDR"},
		dir:     s.dir("rocketmq"),
		log:     s.logFile(name),
	}, os.MkdirAll(home, 0o755)
}

func (s *Stack) nameServer(context.Context) (*server, error) {
	root := filepath.Join(s.dir("rocketmq"), "namesrv")
	if err := writeProperties(filepath.Join(s.dir("rocketmq"), "namesrv.conf"), []setting{
		{"listenPort", strconv.Itoa(s.ports.NameServer)},
		{"bindAddress", loopback},
		{"kvConfigPath", filepath.Join(root, "kv.json")},
		{"configStorePath", filepath.Join(root, "namesrv.properties")},
	}); err != nil {
		return nil, err
	}
	// It holds one broker's routes, and starts faster without the optimising compiler.
	run, err := s.java("org.apache.rocketmq.namesrv.NamesrvStartup", "namesrv",
		[]string{"-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"})
	addr := address(loopback, s.ports.NameServer)
	return &server{
		name: NameServer, addr: addr, program: run,
		ready: func(ctx context.Context) error {
			return isOurs(ctx, addr, remoting.NameServerConfig, "kvConfigPath", root)
		},
	}, err
}

func (s *Stack) broker(context.Context) (*server, error) {
	store := filepath.Join(s.dir("rocketmq"), "store")
	if err := writeProperties(filepath.Join(s.dir("rocketmq"), "broker.conf"),
		s.brokerSettings(store)); err != nil {
		return nil, err
	}
	run, err := s.java("org.apache.rocketmq.broker.BrokerStartup", "broker",
		[]string{"-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=256m"})
	addr := address(loopback, s.ports.Broker)
	return &server{
		name: Broker, addr: addr, program: run,
		ready: func(ctx context.Context) error {
			return s.brokerReady(ctx, addr, store)
		},
	}, err
}

func (s *Stack) brokerSettings(store string) []setting {
	advertised := loopback
	if s.opts.ProxyHost != "" {
		advertised = s.opts.ProxyHost
	}
	settings := []setting{
		{"brokerClusterName", "payment-lab"},
		{"brokerName", "broker-a"},
		{"brokerId", "0"},
		{"namesrvAddr", address(loopback, s.ports.NameServer)},
		// Clients dial brokerIP1, the broker listens on bindAddress: a proxy fits in between.
		{"brokerIP1", advertised},
		{"bindAddress", loopback},
		{"listenPort", strconv.Itoa(s.ports.Broker)},
		{"haListenPort", strconv.Itoa(s.ports.Replication)},
		{"storePathRootDir", store},
		{"storePathCommitLog", filepath.Join(store, "commitlog")},
		// "Stored" means on the disk.
		{"flushDiskType", "SYNC_FLUSH"},
		// A mistyped topic is an error, not a new topic. Groups may come as they are needed.
		{"autoCreateTopicEnable", "false"},
		{"autoCreateSubscriptionGroup", "true"},
		// Room for a batch of results, and an order message has at most 64 KiB.
		{"maxMessageSize", strconv.Itoa(1 << 20)},
		// Small files, so that an idle stack stays small: 64 MiB and 30,000 messages each.
		{"mappedFileSizeCommitLog", strconv.Itoa(64 << 20)},
		{"mappedFileSizeConsumeQueue", strconv.Itoa(30_000 * 20)},
		{"maxHashSlotNum", "100000"},
		{"maxIndexNum", "400000"},
		// A developer's disk is often fuller than a server's. The broker deletes messages that
		// nobody has consumed when it thinks that the disk is full: not here. From 90 % on it
		// refuses to store, which cannot be changed and which doctor looks at.
		{"diskMaxUsedSpaceRatio", "95"},
		{"cleanFileForciblyEnable", "false"},
		// By default the broker refuses a message that has waited for 200 ms, and all of them while
		// a write takes more than a second. A busy laptop is that slow without having too much to
		// do, and a client gives up after three refusals.
		{"waitTimeMillsInSendQueue", "30000"},
		{"osPageCacheBusyTimeOutMills", "30000"},
	}
	for _, key := range slices.Sorted(maps.Keys(s.opts.Broker)) {
		settings = append(settings, setting{key, s.opts.Broker[key]})
	}
	return settings
}

// brokerReady checks that the broker is this one and works; an open port proves neither.
func (s *Stack) brokerReady(ctx context.Context, addr, store string) error {
	err := isOurs(ctx, addr, remoting.BrokerConfig, "storePathRootDir", store)
	if err != nil {
		return err
	}
	return s.topicsReady(ctx)
}

// topicsReady makes the topics, waits until the name server knows them, and stores a message.
func (s *Stack) topicsReady(ctx context.Context) error {
	broker, nameServer := s.Address(Broker), s.Address(NameServer)
	topics := append([]Topic{{readyTopic, 1}}, Topics()...)
	for _, topic := range topics {
		if err := remoting.Create(ctx, broker, topic.Name, topic.Queues); err != nil {
			return fmt.Errorf("create topic %s: %w", topic.Name, err)
		}
	}
	for _, topic := range topics {
		known, err := remoting.HasRoute(ctx, nameServer, topic.Name)
		if err == nil && !known {
			// The broker was up before the name server, or the name server has lost its memory.
			err = errors.Join(remoting.Register(ctx, broker),
				errors.New("the name server does not know it yet"))
		}
		if err != nil {
			return fmt.Errorf("route of topic %s: %w", topic.Name, err)
		}
	}
	return remoting.Send(ctx, broker, readyTopic, []byte("ready"))
}

// isOurs asks a server for one of its folders and compares it with the one that it was given.
func isOurs(ctx context.Context, addr string, code int, key, want string) error {
	properties, err := remoting.Properties(ctx, addr, code)
	if err != nil {
		return err
	}
	if got := properties[key]; !strings.HasPrefix(got, want) {
		return fmt.Errorf("%s belongs to another server: its %s is %q", addr, key, got)
	}
	return nil
}

type setting struct{ key, value string }

// writeProperties writes a Java properties file, which is read as ISO 8859-1: what is not ASCII,
// as in a home folder's name, is written as an escape.
func writeProperties(path string, settings []setting) error {
	var b strings.Builder
	for _, one := range settings {
		b.WriteString(one.key + "=")
		for _, unit := range utf16.Encode([]rune(one.value)) {
			switch {
			case unit == '\\':
				b.WriteString(`\\`)
			case unit >= ' ' && unit <= '~':
				b.WriteByte(byte(unit))
			default:
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
		b.WriteString("\n")
	}
	return writeFile(path, b.String())
}
