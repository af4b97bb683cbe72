package blockcache

// streams are the places where somebody reads one block after the other.
type streams struct {
	at    [8]stream
	clock int64
}

// stream is one such place.
type stream struct {
	last   int64 // block that was read last
	window int64 // how many blocks are read ahead of it
	used   int64 // by the clock; 0: never
}

// find is the stream that block number goes on with, or nil.
func (s *streams) find(number int64) *stream {
	s.clock++
	for i := range s.at {
		st := &s.at[i]
		if st.used > 0 && (number == st.last || number == st.last+1) {
			st.used = s.clock
			return st
		}
	}
	return nil
}

// reads notes that a block is read and says how many behind it should come
// along: none, unless the one before was read lately, and at most limit. A block
// that lay in the cache begins no stream.
func (s *streams) reads(number, limit int64, missed bool) int64 {
	st := s.find(number)
	if st == nil {
		if missed {
			s.begin(number)
		}
		return 0
	}
	if number == st.last+1 {
		st.last = number
		st.window = min(max(2*st.window, 1), limit)
	}
	return st.window
}

// passed notes that blocks first to last were read without the cache.
func (s *streams) passed(first, last int64) {
	if st := s.find(first); st != nil {
		st.last = last
		return
	}
	s.begin(last)
}

// begin takes a block for the start of a stream, in the place of the one that
// went on the longest ago.
func (s *streams) begin(number int64) {
	oldest := &s.at[0]
	for i := range s.at {
		if s.at[i].used < oldest.used {
			oldest = &s.at[i]
		}
	}
	*oldest = stream{last: number, used: s.clock}
}
