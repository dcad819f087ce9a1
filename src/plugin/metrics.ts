import { metricText } from './metric-text.ts';

export interface MethodCounts {
  /** Calls that ended. */
  calls: number;
  /** Of these, what failed. */
  errors: number;
  /** Seconds all its calls took together, until their answers were taken. */
  seconds: number;
  /** Bytes of request bodies. */
  received: number;
  /** Bytes of answers, headers too. */
  sent: number;
}

/** Counts of what a plugin's sockets did since they were opened. */
export class PluginMetrics {
  /** By method ("GraphDriver.Get"); calls of what isn't one are under "unknown". */
  readonly methods = new Map<string, MethodCounts>();
  /** Calls under way. */
  active = 0;

  ended(method: string, call: { seconds: number; failed: boolean; received: number; sent: number }): void {
    const counts = this.methods.get(method) ?? { calls: 0, errors: 0, seconds: 0, received: 0, sent: 0 };
    counts.calls += 1;
    counts.errors += call.failed ? 1 : 0;
    counts.seconds += call.seconds;
    counts.received += call.received;
    counts.sent += call.sent;
    this.methods.set(method, counts);
  }

  /** In the text format of Prometheus. */
  prometheus(): string {
    const byMethod = (what: keyof MethodCounts): [string, number][] => [...this.methods].sort().map(([method, counts]) => [`{method="${method}"}`, counts[what]]);
    return [
      metricText('ufs_plugin_calls_total', 'counter', 'Calls that ended.', byMethod('calls')),
      metricText('ufs_plugin_errors_total', 'counter', 'Calls that failed.', byMethod('errors')),
      metricText('ufs_plugin_seconds_total', 'counter', 'Seconds calls took.', byMethod('seconds')),
      metricText('ufs_plugin_received_bytes_total', 'counter', 'Bytes of request bodies.', byMethod('received')),
      metricText('ufs_plugin_sent_bytes_total', 'counter', 'Bytes of answers.', byMethod('sent')),
      metricText('ufs_plugin_active_calls', 'gauge', 'Calls under way.', [['', this.active]]),
    ].join('');
  }
}
