interface MethodCounts {
  calls: number;
  errors: number;
  /** Seconds all its calls took together. */
  seconds: number;
}

/** Counts of what a plugin's socket did since it was opened. */
export class PluginMetrics {
  readonly methods = new Map<string, MethodCounts>();
  /** Calls under way. */
  active = 0;
  /** Bytes of request bodies, and of answers. */
  received = 0;
  sent = 0;

  ended(method: string, seconds: number, failed: boolean): void {
    const counts = this.methods.get(method) ?? { calls: 0, errors: 0, seconds: 0 };
    counts.calls += 1;
    counts.errors += failed ? 1 : 0;
    counts.seconds += seconds;
    this.methods.set(method, counts);
  }

  /** In the text format of Prometheus. */
  prometheus(): string {
    const lines: string[] = [];
    const metric = (name: string, type: 'counter' | 'gauge', help: string, values: Iterable<readonly [labels: string, value: number]>): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...[...values].map(([labels, value]) => `${name}${labels} ${value}`));
    };
    const byMethod = (what: keyof MethodCounts): [string, number][] => [...this.methods].sort().map(([method, counts]) => [`{method="${method}"}`, counts[what]]);
    metric('ufs_plugin_calls_total', 'counter', 'Calls that ended.', byMethod('calls'));
    metric('ufs_plugin_errors_total', 'counter', 'Calls that failed.', byMethod('errors'));
    metric('ufs_plugin_seconds_total', 'counter', 'Seconds calls took.', byMethod('seconds'));
    metric('ufs_plugin_active_calls', 'gauge', 'Calls under way.', [['', this.active]]);
    metric('ufs_plugin_received_bytes_total', 'counter', 'Bytes of request bodies.', [['', this.received]]);
    metric('ufs_plugin_sent_bytes_total', 'counter', 'Bytes of answers.', [['', this.sent]]);
    return `${lines.join('\n')}\n`;
  }
}
