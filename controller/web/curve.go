package web

import (
	"fmt"
	"strings"
	"time"

	"sluice/metrics/overtime"
)

// Size of a curve, in its own units, and into how many parts its time is cut: few enough that each part has several
// scrapes, which would show as waves otherwise.
const (
	curveWidth  = 1200
	curveHeight = 200
	curveParts  = 60
)

// curve is bytes a second over time, as a picture.
type curve struct {
	Width, Height int
	Top           float64  // bytes a second at its upper edge
	Out, In       []string // points of lines, one for each time without gaps
	Gaps          []strip
	From, To      string
}

// strip is a time of which something is not known.
type strip struct{ X, Width int }

// draws makes the curve of a course, whose parts are all there or striped.
func draws(c overtime.Course, gaps []overtime.Gap) curve {
	v := curve{Width: curveWidth, Height: curveHeight, Top: 1}
	each := c.To.Sub(c.Asked) / curveParts
	parts := make([]usageRow, curveParts)
	for i := range parts {
		from := c.Asked.Add(time.Duration(i) * each)
		parts[i] = rowOf(c, gaps, from, from.Add(each))
		if parts[i].Says() == "" {
			v.Top = max(v.Top, float64(parts[i].Out)/each.Seconds(), float64(parts[i].In)/each.Seconds())
		}
	}
	v.Out = v.lines(parts, each, func(r usageRow) uint64 { return r.Out })
	v.In = v.lines(parts, each, func(r usageRow) uint64 { return r.In })
	v.Gaps = strips(parts)
	return v
}

// partWidth is that of a part of the time.
const partWidth = curveWidth / curveParts

// lines are the points of one line for each time of which all is known.
func (v *curve) lines(parts []usageRow, each time.Duration, of func(usageRow) uint64) (all []string) {
	var line []string
	end := func() {
		if line != nil {
			all, line = append(all, strings.Join(line, " ")), nil
		}
	}
	for i, p := range parts {
		if p.Says() != "" {
			end()
			continue
		}
		y := curveHeight - 2 - int(float64(of(p))/each.Seconds()/v.Top*(curveHeight-4))
		line = append(line, fmt.Sprintf("%d,%d %d,%d", i*partWidth, y, (i+1)*partWidth, y))
	}
	end()
	return all
}

// strips are the times of which something is not known.
func strips(parts []usageRow) (all []strip) {
	for i, p := range parts {
		x := i * partWidth
		switch last := len(all) - 1; {
		case p.Says() == "":
		case last >= 0 && all[last].X+all[last].Width == x:
			all[last].Width += partWidth
		default:
			all = append(all, strip{x, partWidth})
		}
	}
	return all
}
