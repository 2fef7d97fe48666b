package lab

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// serveEvents streams frames to one page. The page's own pace is the limit: a frame is made when
// the last one was written, at most ten in a second, so that whatever happens meanwhile costs
// nobody's memory.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer s.streams.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	var seen Cursor
	quiet := time.Duration(0)
	for {
		frame, ok := s.state.Next(&seen)
		var err error
		switch {
		case ok:
			quiet = 0
			err = writeFrame(w, frame)
		case quiet >= keepAlive:
			quiet = 0
			_, err = io.WriteString(w, ":\n\n")
		}
		if err == nil && quiet == 0 {
			_ = out.SetWriteDeadline(time.Now().Add(writeLimit)) // a recorder in a test has none
			err = out.Flush()
		}
		if err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			quiet += s.interval
		}
	}
}

// writeFrame writes a frame as one event. JSON has no line breaks outside of strings, and writes
// those inside as escapes.
func writeFrame(w io.Writer, f Frame) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = w.Write(append(append([]byte("data: "), text...), "\n\n"...))
	return err
}
