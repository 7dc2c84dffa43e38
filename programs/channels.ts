// channels.ts: the ways to people's attention, as the settings and the files that they name make them.

import { readFileSync } from 'node:fs';
import { isCertificate } from '../transport/http/tls.ts';
import { type Channels, channelsOf } from '../transport/notify/open.ts';
import { named, oneLine, Refused } from './refused.ts';
import type { Ground } from './start.ts';

/** Connects to nobody yet. Throws Refused where a file is not as it should be. */
export function openChannels({ settings, clock, version }: Pick<Ground, 'settings' | 'clock' | 'version'>): Channels {
  const { mail_password_file, http_notification_credentials_file, webhook_secret_file, notify_ca } = settings;
  const line = (flag: string, path: string | undefined) => (path === undefined ? undefined : oneLine(flag, path));
  const ca =
    notify_ca === undefined ? undefined : named('--notify-ca', notify_ca, () => readFileSync(notify_ca, 'utf8'));
  if (ca !== undefined && !isCertificate(ca))
    throw new Refused(`--notify-ca is ${notify_ca}: it holds no certificate: expected one in PEM`);
  const credentials = line('--http-notification-credentials-file', http_notification_credentials_file);
  if (credentials !== undefined && !/^[^:]+:.+$/.test(credentials))
    throw new Refused(
      `--http-notification-credentials-file is ${http_notification_credentials_file}: expected USER:PASSWORD on one line`,
    );
  const opened = channelsOf(
    settings,
    {
      mail_password: line('--mail-password-file', mail_password_file),
      http_notification_credentials: credentials,
      webhook_secrets:
        webhook_secret_file === undefined
          ? undefined
          : named('--webhook-secret-file', webhook_secret_file, () => readFileSync(webhook_secret_file, 'utf8')),
      ca,
    },
    { version, now: clock.now },
  );
  if (!opened.ok) throw new Refused(opened.problems.map(({ message }) => message).join('; '));
  return opened.value;
}
