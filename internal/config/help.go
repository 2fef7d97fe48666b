package config

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// width is how wide the help text and the example files are.
const width = 92

// WriteConsumerHelp explains every setting of payment-consumer.
func WriteConsumerHelp(w io.Writer) error { return writeHelp(w, consumerTable(&Consumer{})) }

// WriteProducerHelp explains every setting of order-producer.
func WriteProducerHelp(w io.Writer) error { return writeHelp(w, producerTable(&Producer{})) }

// WriteConsumerExample writes a file that holds every setting of payment-consumer with its
// default, explained. configs/payment-consumer.yaml is this text.
func WriteConsumerExample(w io.Writer) error {
	return writeExample(w, "payment-consumer", consumerTable(&Consumer{}))
}

// WriteProducerExample is WriteConsumerExample for order-producer.
func WriteProducerExample(w io.Writer) error {
	return writeExample(w, "order-producer", producerTable(&Producer{}))
}

func writeHelp(w io.Writer, table []setting) error {
	var b strings.Builder
	b.WriteString("A setting is taken from its flag, else its variable, else the file, else its " +
		"default.\nIn the file, section.name is written as name: below section:.\n" +
		"Secrets are taken from their variable or from the file that NAME_file names.\n")
	for _, s := range table {
		fmt.Fprintf(&b, "\n%s\n", s.key)
		paragraph(&b, "    ", s.doc)
		paragraph(&b, "    ", "Give "+s.accepts+".")
		fmt.Fprintf(&b, "    variable  %s\n", s.variable())
		if s.secret {
			continue
		}
		fmt.Fprintf(&b, "    flag      --%s\n    default   %s\n", s.flag(), inYAML(s.def))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeExample(w io.Writer, program string, table []setting) error {
	var b strings.Builder
	paragraph(&b, "# ", "Every setting of "+program+", with its default. A file needs only the "+
		"settings that differ. Flags and variables are stronger than the file: a.b is also "+
		"--a-b and "+prefix+"A_B. `"+program+" config print` shows what is in force and where it "+
		"comes from. Unknown keys are refused. This file is written by the tests of "+
		"internal/config from the table there.")
	section := ""
	for _, s := range table {
		if s.secret {
			continue // represented by the setting that names its file
		}
		b.WriteString("\n")
		if s.section() != section {
			section = s.section()
			b.WriteString(section + ":\n")
		}
		exampleOf(&b, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func exampleOf(b *strings.Builder, s setting) {
	if s.secretDoc != "" {
		paragraph(b, "  # ", s.secretDoc+" It is a secret and has no place here: set "+
			strings.TrimSuffix(s.variable(), strings.ToUpper(fileSuffix))+
			", or name a file that holds it and that not everybody can read (chmod 600).")
	} else {
		paragraph(b, "  # ", s.doc+" Accepted: "+s.accepts+".")
	}
	fmt.Fprintf(b, "  %s: %s\n", s.name(), inYAML(s.def))
}

// inYAML writes a value without quotes where it reads as the same text.
func inYAML(value string) string {
	var node yaml.Node
	err := yaml.Unmarshal([]byte("v: "+value+"\n"), &node)
	if err == nil && len(node.Content) == 1 && len(node.Content[0].Content) == 2 {
		if v := node.Content[0].Content[1]; !isNull(v) && v.Value == value {
			return value
		}
	}
	return fmt.Sprintf("%q", value)
}

// paragraph writes a text in lines of bounded width, each after the indent.
func paragraph(b *strings.Builder, indent, text string) {
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len(line)+len(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
