package frame

import "encoding/binary"

// appendHeader appends the header of a single-segment frame with n bytes of
// content and no checksum (RFC 8878, section 3.1.1.1).
func appendHeader(dst []byte, n int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, magic)
	switch {
	case n < 256:
		return append(dst, singleSegment, byte(n))
	case n < 256+1<<16:
		return binary.LittleEndian.AppendUint16(append(dst, singleSegment|1<<6), uint16(n-256))
	case n <= 1<<32-1:
		return binary.LittleEndian.AppendUint32(append(dst, singleSegment|2<<6), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(dst, singleSegment|3<<6), uint64(n))
}

// appendBlockHeader appends the header of a block (section 3.1.1.2). size is
// that of the decoded block for raw and RLE blocks.
func appendBlockHeader(dst []byte, kind, size int, last bool) []byte {
	v := size<<3 | kind<<1
	if last {
		v |= 1
	}
	return append(dst, byte(v), byte(v>>8), byte(v>>16))
}

// appendRaw appends a frame that holds raw as it is.
func appendRaw(dst, raw []byte) []byte {
	dst = appendHeader(dst, len(raw))
	for {
		part := raw[:min(len(raw), maxBlock)]
		raw = raw[len(part):]
		dst = append(appendBlockHeader(dst, blockRaw, len(part), len(raw) == 0), part...)
		if len(raw) == 0 {
			return dst
		}
	}
}

// appendRepeat appends a frame of n times the byte b; n is not 0.
func appendRepeat(dst []byte, b byte, n int) []byte {
	dst = appendHeader(dst, n)
	for n > 0 {
		part := min(n, maxBlock)
		n -= part
		dst = append(appendBlockHeader(dst, blockRLE, part, n == 0), b)
	}
	return dst
}

// looksRandom says that compressing raw is not worth the time. It looks at 512
// bytes first, since most blocks show at once that they do compress; then at
// 32 bytes of every KiB of each 64 KiB, which notice a single cluster of zeros
// or text in noise, and noise that repeats itself with a period of sectors.
// Nearly all random blocks pass. The counts bound what coding single bytes could
// save in a block that passes at about one per cent.
func looksRandom(raw []byte) bool {
	const window, step, take = 64 << 10, 1 << 10, 32
	if len(raw) < window || !uniform(raw, len(raw)/16, take, 20) {
		return false
	}
	for at := 0; at < len(raw); at += window {
		at := min(at, len(raw)-window)
		if !uniform(raw[at:at+window], step, take, 5) {
			return false
		}
	}
	return true
}

// uniform counts the bytes of raw[i:i+take] for every i that is a multiple of
// step, and says whether their values are spread as evenly as those of noise:
// the number of equal pairs may be slack per cent above its mean for random
// bytes, which is 1/256 of all pairs.
func uniform(raw []byte, step, take, slack int) bool {
	var count [256]uint32
	n := 0
	for at := 0; at+take <= len(raw); at += step {
		for _, b := range raw[at : at+take] {
			count[b]++
		}
		n += take
	}
	equal := 0
	for _, c := range count {
		equal += int(c) * (int(c) - 1)
	}
	return equal*256*100 <= n*(n-1)*(100+slack)
}
