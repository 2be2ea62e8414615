import{a,b,c}from"./chunk-FZ2UC3EH.js";import"./chunk-QXG72NKH.js";import"./chunk-PPQGM4SI.js";import"./chunk-JUSM7IJR.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default,c as save};
