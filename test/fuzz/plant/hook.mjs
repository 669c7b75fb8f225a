/** @type {{ file: string, find: string, replace: string } | null} */
let defect = null;

export function initialize(data) {
  defect = data;
}

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (!defect || !url.split("?")[0].endsWith(`/${defect.file}`)) return loaded;
  const source = Buffer.from(loaded.source ?? "").toString("utf8");
  const parts = source.split(defect.find);
  if (parts.length !== 2)
    throw new Error(`${defect.file} has ${parts.length - 1} times, not once: ${defect.find}`);
  return {
    ...loaded,
    source: `${parts.join(defect.replace)}\n;(globalThis as any).callweaveFuzzPlanted = true;\n`,
  };
}
