package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/integration/lab"
)

// fresh is a machine as the package leaves it, on one host of the lab: what its processes write below
// /etc, /usr, /var, /opt and /run is theirs alone, and goes with them. There is no systemd.
type fresh struct {
	t    *testing.T
	host string
	pid  int
	env  []string
}

// equip makes the machine's folders: $1 a folder of the test's, $2 where the programs are, $3 packaging, $4 the
// host's folder in the lab, which has the agent's socket.
const equip = `set -e
mount --make-rprivate /
for d in etc usr var opt; do
  mkdir -p "$1/$d" "$1/work-$d"
  mount -t overlay overlay -o "lowerdir=/$d,upperdir=$1/$d,workdir=$1/work-$d" "/$d"
done
mkdir "$1/host" && mount --bind "$4" "$1/host"
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/sluice && mount --bind "$1/host" /run/sluice
mkdir -p /usr/lib/cni /usr/share/lxc/hooks /usr/share/lxc/config
ln -sf "$2/sluice" /usr/bin/sluice
ln -sf "$2/sluice-cni" /usr/lib/cni/sluice-cni
cp "$3/lxc-hook" /usr/share/lxc/hooks/sluice
cp "$3/lxc.conf" /usr/share/lxc/config/sluice.conf
cd "$1" && mkdir home
echo ready
exec sleep infinity`

// freshMachine makes one, which ends with the test.
func freshMachine(t *testing.T, host string) fresh {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-fresh-") // not below /var, which the machine lays over itself
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	packaging, err := filepath.Abs("../packaging")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nsenter", "--net=/run/netns/sluice-"+host, "--", "unshare", "--mount", "--",
		"sh", "-c", equip, "sh", dir, filepath.Dir(program), packaging, filepath.Join(lab.Dir, host))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("make a fresh machine: %v: %s", err, said.String())
	}
	return fresh{t: t, host: host, pid: cmd.Process.Pid, env: append(os.Environ(), "HOME="+dir+"/home")}
}

// in is the machine as a subtest sees it.
func (f fresh) in(t *testing.T) fresh {
	f.t = t
	return f
}

// command is a shell script that will run on the machine, as root types it.
func (f fresh) command(ctx context.Context, script string) *exec.Cmd {
	pid := fmt.Sprint(f.pid)
	cmd := exec.CommandContext(ctx, "nsenter", "--target", pid, "--mount", "--net", "--", "sh", "-euc", "cd \"$HOME\"\n"+script)
	cmd.Env = f.env
	return cmd
}

// scriptLimit bounds one script; starts wait 20 s for an agent that is away.
const scriptLimit = 30 * time.Second

// try runs a script and returns all that it prints. What it leaves in the background may go on to print.
func (f fresh) try(script string) (string, error) {
	said, err := os.CreateTemp("", "sluice-fresh-said-")
	if err != nil {
		return "", err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	ctx, cancel := context.WithTimeout(context.Background(), scriptLimit)
	defer cancel()
	cmd := f.command(ctx, script)
	cmd.Stdout, cmd.Stderr = said, said
	failed := cmd.Run()
	out, err := os.ReadFile(said.Name())
	return string(out), errors.Join(failed, err)
}

// run runs a script that must succeed.
func (f fresh) run(script string) string {
	f.t.Helper()
	out, err := f.try(script)
	if err != nil {
		f.t.Fatalf("on a machine of host %s: %v\n%s\nof\n%s", f.host, err, out, script)
	}
	return out
}

// stay starts a script that runs until the test is over.
func (f fresh) stay(script string) {
	f.t.Helper()
	cmd := f.command(context.Background(), script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
}

// ofPage are the commands that a page of docs/runtimes shows under a name.
func ofPage(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/runtimes/" + page)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh " + name + "\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("docs/runtimes/%s shows no commands %q", page, name)
	}
	return string(block[1])
}

// hasPort reports what keeps a tenant from having exactly these ports.
func hasPorts(t *testing.T, tenant string, want ...string) error {
	t.Helper()
	var got []string
	for _, p := range answer[[]struct{ Name string }](t, "port", "list", "--tenant", tenant) {
		got = append(got, p.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		return fmt.Errorf("tenant %s has ports %v, want %v", tenant, got, want)
	}
	return nil
}

// expect looks for words in what something printed.
func expect(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: there is no %q in\n%s", what, w, text)
		}
	}
}
