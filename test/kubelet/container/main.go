// Command container is what runs in the containers of the tests: it ends with
// SIGTERM, at once or some seconds later, or by itself.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	usage := func() {
		fmt.Fprintln(os.Stderr, "usage: container pause | ignore SECONDS | sleep SECONDS")
		os.Exit(2)
	}
	if len(os.Args) < 2 {
		usage()
	}
	seconds := 0.0
	if len(os.Args) > 2 {
		var err error
		if seconds, err = strconv.ParseFloat(os.Args[2], 64); err != nil {
			usage()
		}
	}
	wait := time.Duration(seconds * float64(time.Second))
	switch os.Args[1] {
	case "sleep":
		time.Sleep(wait)
	case "pause", "ignore":
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM, syscall.SIGINT)
		<-terminated
		time.Sleep(wait)
	default:
		usage()
	}
}
