import { describeHubsOn } from './promises.js';

describeHubsOn('classic');
