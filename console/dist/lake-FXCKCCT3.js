import{a,b,c}from"./chunk-S6JBXYI5.js";import"./chunk-TD2XTAGG.js";import"./chunk-PPQGM4SI.js";import"./chunk-JUSM7IJR.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default,c as save};
