// A module of its own: ofctrl is measured in a process apart and never links into Sluice.
module sluice/integration/bench/ofctrl

go 1.26.0

require (
	github.com/contiv/libOpenflow v0.0.0-20210312221048-1d504242120d
	github.com/contiv/ofnet v0.0.0-20180104211757-c080e5b6e9be
	github.com/sirupsen/logrus v1.4.1
)

require (
	github.com/Microsoft/go-winio v0.4.14 // indirect
	github.com/cenkalti/hub v1.0.1-0.20140529221144-7be60e186e66 // indirect
	github.com/cenkalti/rpc2 v0.0.0-20140912135055-44d0d95e4f52 // indirect
	github.com/contiv/libovsdb v0.0.0-20170227191248-d0061a53e358 // indirect
	github.com/konsorten/go-windows-terminal-sequences v1.0.1 // indirect
	github.com/streamrail/concurrent-map v0.0.0-20160803124810-238fe79560e1 // indirect
	golang.org/x/sys v0.0.0-20200113162924-86b910548bc1 // indirect
)

// The fork that was maintained last.
replace github.com/contiv/ofnet => github.com/wenyingd/ofnet v0.0.0-20210318032909-171b6795a2da
