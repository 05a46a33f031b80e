package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// This file keeps the objects of tenants that sleep in few bytes. A large cluster has many more of these tenants than of others, and
// nobody asks for them but to list them and to wake them. So each is kept as bytes, of which a new Item is made each time that it is asked
// for: two Items of one object are the same only by their keys.

// packed are objects of one kind. The bytes of each are its revisions and its JSON, as words make it short.
type packed[K comparable, T any] struct {
	key    func(K) Key
	values map[K]string
	words  words
}

func (p *packed[K, T]) put(k K, i *Item[T]) error {
	text, err := Encode(any(i.Value).(Object))
	if err != nil {
		return err
	}
	value := binary.AppendUvarint(nil, uint64(i.Created))
	value = binary.AppendVarint(value, int64(i.Modified-i.Created))
	p.values[k] = string(p.words.pack(value, text))
	return nil
}

// get is the object under a key of the table, or nil.
func (p *packed[K, T]) get(k K) *Item[T] {
	value, there := p.values[k]
	if !there {
		return nil
	}
	r := reader(value)
	created := Revision(r.uvarint())
	item := &Item[T]{Key: p.key(k), Value: new(T), Created: created, Modified: created + Revision(r.varint())}
	if err := json.Unmarshal(p.words.unpack(&r), item.Value); err != nil {
		panic(fmt.Sprintf("store: %s was packed so that it cannot be read: %v", item.Key, err))
	}
	return item
}

const (
	// mostWords bounds how many words there are of a kind, and longestWord how long one is: what else objects say is kept as it is.
	mostWords, longestWord = 1 << 16, 256
	// latelySeen is how many fields are remembered that may become words.
	latelySeen = 1 << 10
	// mostDigits are those of a number that fits into 63 bits.
	mostDigits = 18
	// blank stands in a word for a number. No JSON has it.
	blank = 0
)

// words make JSON short. Objects of a kind differ in little but numbers: so a field without its numbers, which was seen twice, is a word,
// and packed are its number and those of the field. It is lossless for any text that has no byte blank. The zero words know none.
type words struct {
	numbers map[string]int // from 1
	texts   []string
	lately  map[string]struct{} // fields that were seen once
}

// pack appends a text.
func (w *words) pack(to, text []byte) []byte {
	var field, numbers []byte
	for len(text) > 0 {
		end := fieldEnd(text)
		field, numbers = blanked(field[:0], numbers[:0], text[:end])
		word := w.number(field)
		to = binary.AppendUvarint(to, uint64(word))
		if word > 0 {
			to = append(to, numbers...)
		} else {
			to = append(binary.AppendUvarint(to, uint64(end)), text[:end]...)
		}
		text = text[end:]
	}
	return to
}

// fieldEnd is where the first field of a JSON object's rest ends, more or less: a comma in a text may end it too.
func fieldEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		if text[i-1] == ',' && text[i] == '"' {
			return i
		}
	}
	return len(text)
}

// blanked appends a field with blanks in place of numbers, and these numbers: of each how many digits 0 come first, if any, and the rest.
func blanked(field, numbers, text []byte) (blanked, all []byte) {
	for i := 0; i < len(text); {
		if text[i] < '0' || text[i] > '9' {
			field = append(field, text[i])
			i++
			continue
		}
		n, zeros, from := uint64(0), 0, i
		for ; i < len(text) && text[i] >= '0' && text[i] <= '9' && i-from < mostDigits; i++ {
			if n = 10*n + uint64(text[i]-'0'); n == 0 {
				zeros++
			}
		}
		if n == 0 {
			zeros-- // the number itself
		}
		field, numbers = append(field, blank), appendNumber(numbers, n, zeros)
	}
	return field, numbers
}

func appendNumber(to []byte, n uint64, zeros int) []byte {
	if zeros == 0 {
		return binary.AppendUvarint(to, n<<1)
	}
	return binary.AppendUvarint(binary.AppendUvarint(to, n<<1|1), uint64(zeros))
}

// number is that of a word; 0: the field is none.
func (w *words) number(field []byte) int {
	number, known := w.numbers[string(field)]
	if known || len(w.texts) == mostWords || len(field) > longestWord {
		return number
	}
	if _, again := w.lately[string(field)]; !again {
		if w.lately == nil || len(w.lately) == latelySeen {
			w.lately = map[string]struct{}{}
		}
		w.lately[string(field)] = struct{}{}
		return 0
	}
	if w.numbers == nil {
		w.numbers = map[string]int{}
	}
	w.texts = append(w.texts, string(field))
	w.numbers[string(field)] = len(w.texts)
	return len(w.texts)
}

// unpack is the text that the rest of a value was made of.
func (w *words) unpack(r *reader) (text []byte) {
	for len(*r) > 0 {
		word := r.uvarint()
		if word == 0 {
			text = append(text, r.next(int(r.uvarint()))...)
			continue
		}
		for rest := w.texts[word-1]; rest != ""; {
			plain, after, number := strings.Cut(rest, string(rune(blank)))
			text, rest = append(text, plain...), after
			if number {
				text = r.number(text)
			}
		}
	}
	return text
}

// reader reads a packed value, and is what is left of it.
type reader string

func (r *reader) uvarint() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := (*r)[0]
		*r = (*r)[1:]
		if n |= uint64(b&0x7f) << shift; b < 0x80 {
			return n
		}
	}
}

// varint reads what binary.AppendVarint wrote.
func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) next(n int) reader {
	next := (*r)[:n]
	*r = (*r)[n:]
	return next
}

// number appends a number with its digits.
func (r *reader) number(text []byte) []byte {
	n := r.uvarint()
	if n&1 == 1 {
		for range r.uvarint() {
			text = append(text, '0')
		}
	}
	return strconv.AppendUint(text, n>>1, 10)
}
