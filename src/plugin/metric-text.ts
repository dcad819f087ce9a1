/** A metric in the text format of Prometheus; labels as "{name=\"value\"}", or none. */
export function metricText(name: string, type: 'counter' | 'gauge', help: string, values: Iterable<readonly [labels: string, value: number]>): string {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...[...values].map(([labels, value]) => `${name}${labels} ${value}`), ''].join('\n');
}
