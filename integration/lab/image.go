package lab

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
)

// writeImage writes the file system of the lab's containers: busybox with all its commands, which
// runs without libraries.
func writeImage(file string) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return errors.New("containers of the lab are made of busybox: apt-get install busybox-static")
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	commands, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("%s --list: %w", busybox, err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err = w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = w.Write(program)
	}
	for _, command := range bytes.Fields(commands) {
		link := tar.Header{Typeflag: tar.TypeSymlink, Name: path.Join("bin", string(command)), Linkname: "busybox", Mode: 0o777}
		if err == nil && string(command) != "busybox" {
			err = w.WriteHeader(&link)
		}
	}
	for _, dir := range []string{"etc/", "proc/", "sys/", "tmp/", "dev/"} {
		if err == nil {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755})
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("make the image of the lab's containers: %w", err)
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}
