import { useEffect, useRef } from "preact/hooks";
import type { Levels } from "../audio/levels.js";

/** How loud it is, as a bar; a number for readers of the screen is of no use here. */
export function Meter({ levels, label }: { readonly levels: Levels; readonly label: string }) {
  // Speech is around 0.02 to 0.3: a scale in decibels from −60 to 0 shows it as an ear hears it.
  const level = levels.level.value;
  const share = level <= 0.001 ? 0 : Math.min(1, 1 + Math.log10(level) / 3);
  return (
    <div class="meter" role="img" aria-label={label}>
      <div class="meter-bar" style={{ transform: `scaleX(${share.toFixed(3)})` }} />
    </div>
  );
}

/** The last seconds as a strip; holes are drawn as holes. */
export function Wave({ levels, label }: { readonly levels: Levels; readonly label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let frame = 0;
    const draw = () => {
      frame = requestAnimationFrame(draw);
      const at = canvas.current;
      const context = at?.getContext("2d");
      if (!at || !context) return;
      const scale = devicePixelRatio;
      const [width, height] = [at.clientWidth, at.clientHeight];
      if (at.width !== width * scale) at.width = width * scale;
      if (at.height !== height * scale) at.height = height * scale;
      context.setTransform(scale, 0, 0, scale, 0, 0);
      context.clearRect(0, 0, width, height);
      const style = getComputedStyle(at);
      context.fillStyle = style.color;
      const step = 3;
      const count = Math.floor(width / step);
      const peaks = levels.peaks.slice(-count);
      peaks.forEach((peak, i) => {
        const x = width - (peaks.length - i) * step;
        if (Number.isNaN(peak)) {
          context.fillStyle = style.outlineColor;
          context.fillRect(x, 2, 2, height - 4);
          context.fillStyle = style.color;
          return;
        }
        const tall = Math.max(1, Math.sqrt(peak) * (height - 4));
        context.fillRect(x, (height - tall) / 2, 2, tall);
      });
    };
    draw();
    return () => cancelAnimationFrame(frame);
  }, [levels]);
  return <canvas class="wave" ref={canvas} role="img" aria-label={label} />;
}
