package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"ingot/internal/job"
)

// Options say what kind of terminal there is.
type Options struct {
	In   io.Reader
	Out  io.Writer
	Env  []string
	Mono bool // no colours
	// ASCII is for terminals that have nothing else.
	ASCII bool
}

// full draws the Machine on a terminal. All fields are the drawing loop's.
type full struct {
	m      *Machine
	w      World
	o      Options
	send   func(tea.Msg)
	ctx    context.Context
	cancel context.CancelFunc // of the Work under way
	wg     *sync.WaitGroup    // of all Work

	width, height int
	typed         []rune // into the line that is asked for
	number        string // digits of a choice typed so far
	scroll        int    // lines of the head that are above the screen
	sure          bool   // c was pressed once
	ahead         []tea.KeyPressMsg
}

// stepMsg is the end of Work, eventMsg what it tells meanwhile.
type (
	stepMsg  Step
	eventMsg job.Event
)

// Full runs the program full screen. The terminal is as it was when it returns,
// and no Work is under way.
func Full(ctx context.Context, w World, o Options) error {
	ctx, stopAll := context.WithCancel(ctx)
	defer stopAll()
	m, first := New()
	var wg sync.WaitGroup
	f := &full{m: m, w: w, o: o, ctx: ctx, wg: &wg, width: 80, height: 25}
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithoutSignalHandler(), tea.WithFPS(20), tea.WithFilter(sized)}
	if o.Env != nil {
		opts = append(opts, tea.WithEnvironment(o.Env))
	}
	profile := colorprofile.ANSI
	if o.Mono {
		profile = colorprofile.ASCII
	}
	p := tea.NewProgram(&starter{f, first}, append(opts, tea.WithColorProfile(profile))...)
	f.send = p.Send
	_, err := p.Run()
	stopAll()
	if f.m.Busy {
		fmt.Fprintln(o.Out, "Waiting for what runs to stop ...")
	}
	wg.Wait()
	if errors.Is(err, tea.ErrProgramKilled) && context.Cause(ctx) != nil && !errors.Is(err, tea.ErrProgramPanic) {
		err = context.Canceled
	}
	return err
}

// starter is full with the Work it begins with.
type starter struct {
	*full
	first Work
}

// Init implements tea.Model.
func (s *starter) Init() tea.Cmd { return s.begin(s.first) }

// Update implements tea.Model.
func (s *starter) Update(msg tea.Msg) (tea.Model, tea.Cmd) { return s, s.update(msg) }

// View implements tea.Model.
func (s *starter) View() tea.View {
	v := tea.NewView(s.draw())
	v.AltScreen = true
	v.DisableBracketedPasteMode = s.o.ASCII
	return v
}

// sized gives a terminal that does not know its size, such as a serial line, 80 by
// 25 characters.
func sized(_ tea.Model, msg tea.Msg) tea.Msg {
	if size, ok := msg.(tea.WindowSizeMsg); ok && (size.Width <= 0 || size.Height <= 0) {
		return tea.WindowSizeMsg{Width: 80, Height: 25}
	}
	return msg
}

// begin begins Work.
func (f *full) begin(w Work) tea.Cmd {
	if w == nil {
		if f.m.Ended {
			return tea.Quit
		}
		return nil
	}
	ctx, cancel := context.WithCancel(f.ctx)
	f.cancel, f.sure = cancel, false
	f.wg.Add(1)
	return func() tea.Msg {
		defer f.wg.Done()
		defer cancel()
		return stepMsg(w(ctx, f.w, func(e job.Event) { f.send(eventMsg(e)) }))
	}
}

func (f *full) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		f.width, f.height = max(msg.Width, 20), max(msg.Height, 8)
	case stepMsg:
		f.fresh()
		return f.typedAhead(f.begin(f.m.Apply(Step(msg))))
	case eventMsg:
		f.m.Tell(job.Event(msg))
	case tea.PasteMsg:
		if f.m.Screen().Ask != "" {
			f.typed = append(f.typed, []rune(strings.TrimSpace(msg.Content))...)
		}
	case tea.KeyPressMsg:
		return f.key(msg)
	}
	return nil
}

// fresh forgets what belongs to the screen that was.
func (f *full) fresh() { f.typed, f.number, f.scroll, f.sure = nil, "", 0, false }

// key takes a key.
func (f *full) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if name == "ctrl+l" {
		return tea.ClearScreen
	}
	if f.m.Busy {
		f.busyKey(k, name)
		return nil
	}
	f.m.Message = ""
	screen := f.m.Screen()
	w := f.pressed(k, name)
	if f.m.Screen() != screen || w != nil {
		number := f.number
		f.fresh()
		f.number = number[:0]
	}
	return f.begin(w)
}

// mostAhead is how many keys are kept while Work is under way.
const mostAhead = 64

// busyKey takes a key while Work is under way: while a run is, c twice cancels;
// what is typed while a screen is made waits for it.
func (f *full) busyKey(k tea.KeyPressMsg, name string) {
	runs := f.m.Screen().Run != nil
	cancels := name == "ctrl+c" || runs && name == "c"
	switch {
	case !cancels && !runs && len(f.ahead) < mostAhead:
		f.ahead = append(f.ahead, k)
	case !cancels:
		f.sure, f.m.Message = false, ""
	case f.sure:
		f.m.Message = "Cancelling ..."
		f.ahead = nil
		f.cancel()
	default:
		f.sure, f.m.Message = true, "Press it once more to cancel what runs."
	}
}

// typedAhead takes the keys that waited, behind what is to be done before.
func (f *full) typedAhead(cmd tea.Cmd) tea.Cmd {
	for cmd == nil && !f.m.Busy && len(f.ahead) > 0 {
		k := f.ahead[0]
		f.ahead = f.ahead[1:]
		cmd = f.key(k)
	}
	return cmd
}

// pressed is what a key asks for.
func (f *full) pressed(k tea.KeyPressMsg, name string) Work {
	m := f.m
	switch name {
	case "ctrl+c":
		return m.Apply(Step{Quit: true})
	case "esc":
		return m.Back()
	case "f1":
		return m.Help()
	case "f5":
		return m.Again()
	case "f10":
		return m.Home()
	}
	if m.Screen().Ask != "" {
		return f.typing(k, name)
	}
	return f.choosing(name)
}

// typing takes a key of the line that is asked for.
func (f *full) typing(k tea.KeyPressMsg, name string) Work {
	switch {
	case name == "enter":
		text := strings.TrimSpace(string(f.typed))
		f.typed = nil
		return f.m.Enter(text)
	case name == "backspace" && len(f.typed) > 0:
		f.typed = f.typed[:len(f.typed)-1]
	case name == "ctrl+u":
		f.typed = nil
	case k.Text != "":
		f.typed = append(f.typed, []rune(k.Text)...)
	}
	return nil
}

// choosing takes a key among choices.
func (f *full) choosing(name string) Work {
	m := f.m
	if len(name) == 1 && name[0] >= '0' && name[0] <= '9' {
		return f.digit(name)
	}
	f.number = ""
	switch name {
	case "up", "shift+tab":
		m.Move(-1)
	case "down", "tab":
		m.Move(1)
	case "home":
		m.Move(-len(m.Screen().Choices))
	case "end":
		m.Move(len(m.Screen().Choices))
	case "pgup":
		f.page(-1)
	case "pgdown":
		f.page(1)
	case "enter", "space":
		return m.Choose(m.At())
	}
	return nil
}

// digit moves to the choice whose number is typed, and picks it when no longer
// number is possible.
func (f *full) digit(name string) Work {
	n, err := strconv.Atoi(f.number + name)
	if err != nil || n < 1 || n > len(f.m.Screen().Choices) {
		f.number = ""
		return nil
	}
	f.number += name
	f.m.Move(n - 1 - f.m.At())
	if n*10 <= len(f.m.Screen().Choices) {
		return nil
	}
	f.number = ""
	return f.m.Choose(n - 1)
}

// page scrolls what is above the choices, or moves among them.
func (f *full) page(n int) {
	headed, above, _ := f.parts()
	if len(headed) > above {
		f.scroll = max(min(f.scroll+n*max(above-1, 1), len(headed)-above), 0)
		return
	}
	f.m.Move(n * 10)
}

// Terminal says which kind of terminal the environment tells of: whether lines
// must do, whether there are colours, and other characters than ASCII.
func Terminal(getenv func(string) string) (dumb, mono, ascii bool) {
	term := getenv("TERM")
	old := strings.HasPrefix(term, "vt")
	locale := getenv("LC_ALL")
	for _, name := range []string{"LC_CTYPE", "LANG"} {
		if locale == "" {
			locale = getenv(name)
		}
	}
	utf8 := strings.Contains(strings.ToLower(strings.ReplaceAll(locale, "-", "")), "utf8")
	return term == "dumb", old || getenv("NO_COLOR") != "", old || !utf8 && term != "linux" && os.PathSeparator == '/'
}
