// The axis of values of a plot: as wide as its longest number.

import type uPlot from "uplot";

const [DIGIT, AROUND] = [8, 22];

export const ofValues = (axis: uPlot.Axis): uPlot.Axis => ({ ...axis, size: (_, values) => AROUND + DIGIT * Math.max(3, ...(values ?? []).map((text) => String(text ?? "").length)) });
