// Command pictures draws what the plugin for kubectl shows in a terminal, for
// docs/pictures. It drains nodes of a real local cluster, and records what the
// plugin reads: the objects and the API server's verdicts on evictions. The
// pictures are drawn from that record by the commands of today, in a
// pseudo-terminal, so a test can draw them again and compare. With -draw it only
// draws.
package main
