package config

import (
	"bytes"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files in configs/ from the tables")

const (
	consumerFile = "../../configs/payment-consumer.yaml"
	producerFile = "../../configs/order-producer.yaml"
)

// The files document exactly every setting with its default because they are written from the
// table. Run `go test ./internal/config -update` after changing it. The test is not parallel, so
// that it has written before others read.
func TestExampleFiles(t *testing.T) {
	for path, write := range map[string]func(io.Writer) error{
		consumerFile: WriteConsumerExample,
		producerFile: WriteProducerExample,
	} {
		var want bytes.Buffer
		if err := write(&want); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), string(got)); diff != "" {
			t.Errorf("%s is not what the table says; run this test with -update:\n%s", path, diff)
		}
	}
}

func TestExampleFiles_AreTheDefaults(t *testing.T) {
	t.Parallel()
	fromFile, err := LoadConsumer(Input{Path: consumerFile})
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := LoadConsumer(Input{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range fromFile.Settings {
		row, _ := find(consumerTable(&Consumer{}), s.Key)
		if want := FromFile; s.Source != want && !row.secret {
			t.Errorf("%s comes from %s, want %s", s.Key, s.Source, want)
		}
	}
	fromFile.Settings, defaults.Settings = nil, nil
	if diff := cmp.Diff(defaults, fromFile); diff != "" {
		t.Errorf("the file does not hold the defaults (-default +file):\n%s", diff)
	}
	if _, err := LoadProducer(Input{Path: producerFile}); err != nil {
		t.Fatal(err)
	}
}
