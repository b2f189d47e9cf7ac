// A dashboard as Vigía has them, put together of Grafana's own types: each kind of panel with its own
// options and fields, queries and marks as the data source Prometheus takes them. Of these types
// scripts/grafana-schema makes dashboard.json.

import type { AnnotationQuery, Dashboard, FieldConfig, FieldConfigSource, Panel, RowPanel } from '@grafana/schema';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as stateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
// From Grafana 10.4: since then the query is no longer part of @grafana/schema. That of 11.6 has the same
// fields, but for `scope`.
import type { PrometheusDataQuery } from 'grafana-schema-10/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen';

// Not exported, so that what is called Options in each of them gets no name of its own.
type Copy<T> = { [K in keyof T]: T[K] };

export type StatOptions = Copy<stat.Options>;
export type StateTimelineOptions = Copy<stateTimeline.Options>;
export type StateTimelineFields = Copy<stateTimeline.FieldConfig>;
export type TableOptions = Copy<table.Options>;
export type TableFields = Copy<table.FieldConfig>;
export type TimeSeriesOptions = Copy<timeseries.Options>;
export type TimeSeriesFields = Copy<timeseries.FieldConfig>;

// Numbers have no fields of their own.
export interface NoFields {}

export type Query = Omit<PrometheusDataQuery, 'scope'>;

interface Fields<Custom> extends Omit<FieldConfig, 'custom'> {
  custom?: Custom;
}

interface FieldsWithOverrides<Custom> extends Omit<FieldConfigSource, 'defaults'> {
  defaults: Fields<Custom>;
}

interface PanelOf<Kind, Options, Custom> extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Kind;
  options: Options;
  fieldConfig: FieldsWithOverrides<Custom>;
  targets: Query[];
}

export type StatPanel = PanelOf<'stat', StatOptions, NoFields>;
export type StateTimelinePanel = PanelOf<'state-timeline', StateTimelineOptions, StateTimelineFields>;
export type TablePanel = PanelOf<'table', TableOptions, TableFields>;
export type TimeSeriesPanel = PanelOf<'timeseries', TimeSeriesOptions, TimeSeriesFields>;
// Not exported, so that a panel is one of all kinds at one level.
type AnyPanel = StatPanel | StateTimelinePanel | TablePanel | TimeSeriesPanel;

export interface Row extends Omit<RowPanel, 'panels'> {
  panels: AnyPanel[];
}

// What the data source Prometheus keeps in a mark, beside what all marks have.
export interface Mark extends AnnotationQuery<Query> {
  expr: string;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
}

export interface Board extends Omit<Dashboard, 'panels' | 'annotations'> {
  panels: Array<AnyPanel | Row>;
  annotations?: { list?: Mark[] };
}
