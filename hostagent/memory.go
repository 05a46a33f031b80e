package hostagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// remember writes what a keeper knows to a file, for an agent that starts while etcd is away. After a crash the file is
// the old one or the new one.
func remember(file, what string, known any) error {
	b, err := json.Marshal(known)
	if err == nil {
		err = writeFile(file, b)
	}
	if err != nil {
		return fmt.Errorf("remember %s: %w", what, err)
	}
	return nil
}

// recall reads what an earlier agent remembered. No file, or one that cannot be decoded, is as good as nothing known.
func recall[T any](file, what string) (known T, err error) {
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return known, fmt.Errorf("recall %s: %w", what, err)
	}
	if json.Unmarshal(b, &known) != nil {
		var nothing T
		return nothing, nil
	}
	return known, nil
}
