package lab

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime"
)

// ImageName is that of the one image of the lab.
const ImageName = "localhost/sluice-lab"

// writeImage writes the file system of the lab's containers.
func writeImage(file string) error {
	image, err := makeImage()
	if err != nil {
		return err
	}
	return os.WriteFile(file, image, 0o644)
}

// WriteArchive writes the image of the lab's containers, in the form of docker save.
func WriteArchive(file string) error {
	layer, err := makeImage()
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": "config.json", "RepoTags": []string{ImageName + ":latest"}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		text []byte
	}{{"manifest.json", manifest}, {"config.json", config}, {"layer.tar", layer}} {
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text))})
		}
		if err == nil {
			_, err = w.Write(f.text)
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("make the archive of the lab's image: %w", err)
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// makeImage is a file system as tar: busybox with all its commands, which runs without libraries.
func makeImage() ([]byte, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, errors.New("containers of the lab are made of busybox: apt-get install busybox-static")
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	commands, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", busybox, err)
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
		return nil, fmt.Errorf("make the image of the lab's containers: %w", err)
	}
	return b.Bytes(), nil
}
