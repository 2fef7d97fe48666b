package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Input is where settings are read from.
type Input struct {
	// Path names the file; none when empty.
	Path string
	// Flags is a parsed set that AddConsumerFlags or AddProducerFlags filled; none when nil.
	Flags *pflag.FlagSet
	// Environ is the environment, as os.Environ gives it. viper would read the process's own,
	// and then the values and the search for typos could see different environments.
	Environ []string
}

// Error is everything that is wrong with the settings.
type Error struct {
	// Problems has one line for each problem.
	Problems []string
}

// Error gives one line for each problem.
func (e *Error) Error() string { return strings.Join(e.Problems, "\n") }

// LoadConsumer reads the settings of payment-consumer. Settings that a command cannot do without
// are required only if it names the part of the program that they belong to. An error is an
// *Error.
func LoadConsumer(in Input, needs ...Part) (Consumer, error) {
	var c Consumer
	l := loader{in: in, needs: needs, program: "payment-consumer", table: consumerTable(&c),
		other: "order-producer", otherTable: producerTable(&Producer{})}
	settings, err := l.load(func() []rule { return consumerRules(&c) })
	if err != nil {
		return Consumer{}, err
	}
	c.Settings = settings
	return c, nil
}

// LoadProducer reads the settings of order-producer. An error is an *Error.
func LoadProducer(in Input) (Producer, error) {
	var p Producer
	l := loader{in: in, program: "order-producer", table: producerTable(&p),
		other: "payment-consumer", otherTable: consumerTable(&Consumer{})}
	settings, err := l.load(func() []rule { return producerRules(&p) })
	if err != nil {
		return Producer{}, err
	}
	p.Settings = settings
	return p, nil
}

// AddConsumerFlags adds a flag for each setting of payment-consumer that is no secret. The help
// text shows the everyday ones only.
func AddConsumerFlags(flags *pflag.FlagSet) { addFlags(flags, consumerTable(&Consumer{})) }

// AddProducerFlags is AddConsumerFlags for order-producer.
func AddProducerFlags(flags *pflag.FlagSet) { addFlags(flags, producerTable(&Producer{})) }

func addFlags(flags *pflag.FlagSet, table []setting) {
	for _, s := range table {
		if s.secret {
			continue
		}
		first, _, _ := strings.Cut(s.doc, ". ")
		flags.String(s.flag(), s.def, strings.TrimSuffix(first, ".")+" ("+s.variable()+")")
		flags.Lookup(s.flag()).Hidden = !s.everyday
	}
}

// loader reads one program's settings once.
type loader struct {
	in         Input
	needs      []Part
	program    string
	table      []setting
	other      string // the other program
	otherTable []setting

	values   *viper.Viper
	file     map[string]written
	env      map[string]string
	problems []string
	bad      map[string]bool // keys with a problem
}

func (l *loader) load(rules func() []rule) (Settings, error) {
	l.bad = map[string]bool{}
	l.readFile()
	l.readEnviron()
	if err := l.merge(); err != nil {
		return nil, &Error{Problems: append(l.problems, err.Error())}
	}
	settings := make(Settings, 0, len(l.table))
	for _, s := range l.table {
		settings = append(settings, l.assign(s))
	}
	for _, r := range rules() {
		if !r.ok && !slices.ContainsFunc(r.keys, func(key string) bool { return l.bad[key] }) {
			l.problem("%s", r.text)
		}
	}
	if len(l.problems) > 0 {
		return nil, &Error{Problems: l.problems}
	}
	return settings, nil
}

func (l *loader) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// merge lays the sources over one another, the strongest last. All values are the texts that
// were written, because viper would make the number 8 of 010, and false of no.
func (l *loader) merge() error {
	l.values = viper.New()
	for _, s := range l.table {
		l.values.SetDefault(s.key, s.def)
	}
	file := make(map[string]string, len(l.file))
	for key, w := range l.file {
		file[key] = w.value
	}
	for _, layer := range []map[string]string{file, l.env} {
		if err := l.values.MergeConfigMap(nested(layer)); err != nil {
			return fmt.Errorf("cannot merge the settings: %w", err)
		}
	}
	for _, s := range l.table {
		if l.flagged(s) {
			if err := l.values.BindPFlag(s.key, l.in.Flags.Lookup(s.flag())); err != nil {
				return fmt.Errorf("cannot read flag --%s: %w", s.flag(), err)
			}
		}
	}
	return nil
}

// nested turns section.name into the maps of maps that viper merges.
func nested(layer map[string]string) map[string]any {
	tree := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(layer)) {
		section, name, _ := strings.Cut(key, ".")
		inner, ok := tree[section].(map[string]any)
		if !ok {
			inner = map[string]any{}
			tree[section] = inner
		}
		inner[name] = layer[key]
	}
	return tree
}

// flagged says whether the setting was given as a flag.
func (l *loader) flagged(s setting) bool {
	return l.in.Flags != nil && l.in.Flags.Changed(s.flag())
}

// source says where the value comes from, and where exactly, for a message.
func (l *loader) source(s setting) (Source, string) {
	if l.flagged(s) {
		return FromFlag, "flag --" + s.flag()
	}
	if _, ok := l.env[s.key]; ok {
		return FromEnvironment, "the environment"
	}
	if w, ok := l.file[s.key]; ok {
		return FromFile, w.place
	}
	return FromDefault, "the default"
}

// assign checks one setting and stores it in its field.
func (l *loader) assign(s setting) Setting {
	value := l.values.GetString(s.key)
	source, place := l.source(s)
	if s.secret {
		return l.assignSecret(s, value, source)
	}
	if !s.assign(value) {
		l.bad[s.key] = true
		l.problem("%s: %s from %s is not accepted; give %s",
			named(s.key), quoted(value), place, s.accepts)
	}
	return Setting{Key: s.key, Variable: s.variable(), Value: value, Source: source}
}

// assignSecret is assign for a secret, of which no message shows the value.
func (l *loader) assignSecret(s setting, value string, source Source) Setting {
	path := l.values.GetString(s.key + fileSuffix)
	switch {
	case value != "" && path != "":
		l.badSecret(s, "both it and %s are set; give one of them", named(s.key+fileSuffix))
	case path != "":
		text, err := readSecret(path)
		if err != nil {
			l.badSecret(s, "%v", err)
			break
		}
		value, source = text, FromSecretFile
	case value == "" && s.need != "" && slices.Contains(l.needs, s.need):
		l.badSecret(s, "is required and not set; give %s, or name a file that holds it in %s",
			s.accepts, variableOf(s.key+fileSuffix))
	}
	if value != "" && !l.bad[s.key] && !s.assign(value) {
		l.badSecret(s, "what was given is not accepted; give %s", s.accepts)
	}
	shownValue := ""
	if value != "" {
		shownValue = redacted
	}
	return Setting{Key: s.key, Variable: s.variable(), Value: shownValue, Source: source}
}

func (l *loader) badSecret(s setting, format string, args ...any) {
	l.bad[s.key] = true
	l.problem("%s: %s", named(s.key), fmt.Sprintf(format, args...))
}

// quoted shows a value that is not accepted, on one line and of bounded length.
func quoted(value string) string {
	const most = 60
	if len(value) > most {
		return fmt.Sprintf("%.*q and more", most, value)
	}
	return fmt.Sprintf("%q", value)
}
