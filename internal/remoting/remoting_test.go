package remoting

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead_JSON(t *testing.T) {
	t.Parallel()
	want := Header{
		Code: SendMessageV2, Language: "GO", Version: 317, Opaque: 7,
		Fields: map[string]string{"b": "ORDER_PAYMENT"},
	}
	raw, err := Encode(want, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	stream := bytes.NewReader(append(raw, raw...))
	for range 2 {
		got, err := Read(stream)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Frame{Header: want, Body: []byte("body"), Raw: raw}, got); diff != "" {
			t.Errorf("frame differs (-want +got):\n%s", diff)
		}
	}
	if _, err := Read(stream); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

// binaryFrame is a send request of a Java client in the protocol's own encoding.
func binaryFrame() []byte {
	var fields []byte
	fields = append(binary.BigEndian.AppendUint16(fields, 1), 'b')
	fields = append(binary.BigEndian.AppendUint32(fields, 1), 'T')
	var h []byte
	h = binary.BigEndian.AppendUint16(h, SendMessageV2)
	h = append(h, 0)                        // language
	h = binary.BigEndian.AppendUint16(h, 1) // version
	h = binary.BigEndian.AppendUint32(h, 9) // opaque
	h = binary.BigEndian.AppendUint32(h, 0) // flag
	h = binary.BigEndian.AppendUint32(h, 2) // remark
	h = append(h, 'o', 'k')                 //
	h = binary.BigEndian.AppendUint32(h, uint32(len(fields)))
	h = append(h, fields...)
	raw := binary.BigEndian.AppendUint32(nil, uint32(4+len(h)+3))
	raw = binary.BigEndian.AppendUint32(raw, 1<<24|uint32(len(h)))
	return append(append(raw, h...), "abc"...)
}

func TestRead_Binary(t *testing.T) {
	t.Parallel()
	got, err := Read(bytes.NewReader(binaryFrame()))
	if err != nil {
		t.Fatal(err)
	}
	want := Header{
		Code: SendMessageV2, Opaque: 9, Remark: "ok", Fields: map[string]string{"b": "T"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("header differs (-want +got):\n%s", diff)
	}
	if !got.Header.IsSend() || got.Header.Topic() != "T" || string(got.Body) != "abc" {
		t.Errorf("send=%v topic=%q body=%q", got.Header.IsSend(), got.Header.Topic(), got.Body)
	}
}

// TestRead_CutShort: every prefix of a frame is an error, and none but the empty one is the
// clean end of a stream.
func TestRead_CutShort(t *testing.T) {
	t.Parallel()
	raw := binaryFrame()
	for n := range raw {
		_, err := Read(bytes.NewReader(raw[:n]))
		if err == nil || errors.Is(err, io.EOF) != (n == 0) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

func TestRead_Malformed(t *testing.T) {
	t.Parallel()
	cases := map[string]func(raw []byte){
		"FrameTooLong":    func(raw []byte) { binary.BigEndian.PutUint32(raw, MaxFrame+1) },
		"FrameTooShort":   func(raw []byte) { binary.BigEndian.PutUint32(raw, 3) },
		"HeaderTooLong":   func(raw []byte) { raw[7] = 0xff },
		"UnknownEncoding": func(raw []byte) { raw[4] = 9 },
		"NotJSON":         func(raw []byte) { raw[4] = 0 },
		"RemarkTooLong":   func(raw []byte) { raw[8+13] = 0xff },
		"FieldTooLong":    func(raw []byte) { raw[8+13+4+2+4] = 0xff },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := binaryFrame()
			spoil(raw)
			if _, err := Read(bytes.NewReader(raw)); !errors.Is(err, errFrame) {
				t.Errorf("got %v, want a malformed frame", err)
			}
		})
	}
}

func TestHeader_IsSend(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		header Header
		send   bool
		topic  string
	}{
		"Send":     {Header{Code: SendMessage, Fields: map[string]string{"topic": "T"}}, true, "T"},
		"SendV2":   {Header{Code: SendMessageV2, Fields: map[string]string{"b": "T"}}, true, "T"},
		"Batch":    {Header{Code: SendBatch, Fields: map[string]string{"b": "T"}}, true, "T"},
		"Response": {Header{Code: SendMessage, Flag: 1}, false, ""},
		"Other":    {Header{Code: RouteOfTopic}, false, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.header.IsSend(); got != c.send {
				t.Errorf("IsSend() = %v, want %v", got, c.send)
			}
			if got := c.header.Topic(); got != c.topic {
				t.Errorf("Topic() = %q, want %q", got, c.topic)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(binaryFrame())
	raw, err := Encode(Header{Code: SendBatch}, []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := Read(bytes.NewReader(data))
		if err == nil && !bytes.HasPrefix(data, frame.Raw) {
			t.Error("a frame is not the bytes that it was read from")
		}
	})
}
