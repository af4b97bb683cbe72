package machine

// Supply is where the machine has its power from.
type Supply struct {
	Battery bool // it runs on battery now
	Percent int  // that is left in it, -1 when nobody knows
}
