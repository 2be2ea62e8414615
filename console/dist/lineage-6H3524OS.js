import{a,b,c,d}from"./chunk-QXG72NKH.js";import"./chunk-PPQGM4SI.js";import"./chunk-JUSM7IJR.js";import"./chunk-ONFQWQRN.js";export{d as Drawn,c as default,a as lineage,b as nodeLink};
