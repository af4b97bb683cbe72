package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/spf13/pflag"
)

// unit is what systemd is told. What a sandbox could take away is little: a
// backup reads all disks, writes where it is told to and runs the owner's
// commands. Nothing here may give it a mount namespace of its own (ProtectSystem=
// and the like do): a drive that it unmounts has to be gone for the whole
// machine. Nor NoNewPrivileges=, which sudo in a hook refuses. Capabilities and system calls that no backup needs are dropped.
const unit = `[Unit]
Description=Ingot backup service
Documentation=man:ingot(1)
After=local-fs.target network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={{.Command}}
Restart=on-failure
RestartSec=10
# The service asks its runs to stop and waits for them; what is left then is killed.
KillMode=mixed
TimeoutStopSec=120
UMask=0077
RuntimeDirectory=ingot
RuntimeDirectoryMode=0755
StateDirectory=ingot
StateDirectoryMode=0700
LimitCORE=0
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_TIME CAP_SYS_PTRACE CAP_SYS_PACCT CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_BPF CAP_WAKE_ALARM

[Install]
WantedBy=multi-user.target
`

const unitName = "ingot.service"

// installation is the service as systemd knows it.
type installation struct {
	program string
	args    []string
	units   string // folder of unit files
	offline bool   // write the file only
}

func (in *installation) add(f *pflag.FlagSet) {
	f.StringVar(&in.units, "unit-folder", "/etc/systemd/system", "folder of the unit files of systemd")
	f.BoolVar(&in.offline, "no-start", false, "only write or remove the unit file; systemd is told nothing")
}

// underManager runs fn as systemd wants it: like any program.
func underManager(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

// quoted is a word of a command line in a unit file: systemd.service(5),
// "Command lines".
func quoted(word string) string {
	word = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`).Replace(word)
	return `"` + word + `"`
}

func (in *installation) text() ([]byte, error) {
	words := []string{quoted(in.program)}
	for _, a := range in.args {
		words = append(words, quoted(a))
	}
	var b bytes.Buffer
	err := template.Must(template.New("unit").Parse(unit)).Execute(&b, struct{ Command string }{strings.Join(words, " ")})
	return b.Bytes(), err
}

// manager says whether systemd runs this machine: sd_booted(3).
func manager() bool {
	st, err := os.Stat("/run/systemd/system")
	return err == nil && st.IsDir()
}

var errNoManager = errors.New("this machine does not run systemd")

func (in *installation) install(ctx context.Context) error {
	if !in.offline && !manager() {
		return refuse("%w: have what starts services here run '%s service run' as root", errNoManager, in.program)
	}
	text, err := in.text()
	if err != nil {
		return err
	}
	path := filepath.Join(in.units, unitName)
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return fmt.Errorf("write the unit file: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the unit file: %w", err)
	}
	if in.offline {
		return nil
	}
	return errors.Join(systemctl(ctx, "daemon-reload"), systemctl(ctx, "enable", unitName), systemctl(ctx, "restart", unitName))
}

// said is what is true once it is installed.
func (in *installation) said() string {
	if in.offline {
		return "The unit file is written; systemd was told nothing."
	}
	return "The service is installed and running. 'ingot status' shows what it does."
}

func (in *installation) uninstall(ctx context.Context) error {
	path := filepath.Join(in.units, unitName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return refuse("the service is not installed: there is no %s", path)
	}
	online := !in.offline && manager()
	if online {
		if err := systemctl(ctx, "disable", "--now", unitName); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	if online {
		return systemctl(ctx, "daemon-reload")
	}
	return nil
}

// state is what systemd thinks of the service.
func (in *installation) state(ctx context.Context) string {
	if !manager() {
		return errNoManager.Error()
	}
	if _, err := os.Stat(filepath.Join(in.units, unitName)); err != nil {
		return "not installed ('sudo ingot service install')"
	}
	// Both tell by their exit code too, which adds nothing.
	active, _ := exec.CommandContext(ctx, "systemctl", "is-active", unitName).Output()
	enabled, _ := exec.CommandContext(ctx, "systemctl", "is-enabled", unitName).Output()
	return strings.TrimSpace(string(active)) + ", " + strings.TrimSpace(string(enabled))
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// stateFolder is where history and logs are.
func stateFolder() string { return "/var/lib/ingot" }
