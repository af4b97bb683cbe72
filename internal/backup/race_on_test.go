//go:build race

package backup

// raceDetector takes several times the memory of the program it watches.
const raceDetector = true
